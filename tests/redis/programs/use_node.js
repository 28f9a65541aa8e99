// ioredis and node-redis: the arguments are the socket of a server and which of the two.
"use strict";

const assert = require("assert");
const path = process.argv[2];

async function ioredis() {
  const Redis = require("ioredis");
  const client = new Redis(path), other = new Redis(path);
  assert.strictEqual(await client.set("k", "wörd", "EX", 100), "OK");
  assert.strictEqual(await client.get("k"), "wörd");
  assert.strictEqual(await client.hset("h", { a: 1, b: 2 }), 2);
  assert.deepStrictEqual(await client.hgetall("h"), { a: "1", b: "2" });
  assert.deepStrictEqual(await client.multi().incr("n").incr("n").get("n").exec(), [[null, 1], [null, 2], [null, "2"]]);
  await client.zadd("z", 1.5, "ada", 2, "bob");
  assert.deepStrictEqual(await client.zrange("z", 0, -1, "WITHSCORES"), ["ada", "1.5", "bob", "2"]);
  await client.watch("n");
  await other.set("n", "9");
  assert.strictEqual(await client.multi().set("n", "lost").exec(), null);
  const waiting = other.blpop("queue", 20);
  await client.rpush("queue", "job");
  assert.deepStrictEqual(await waiting, ["queue", "job"]);
  const name = await client.xadd("stream", "*", "a", "1");
  assert.deepStrictEqual(await client.xread("STREAMS", "stream", "0"), [["stream", [[name, ["a", "1"]]]]]);
  const heard = new Promise((resolve) => other.on("message", (channel, text) => resolve([channel, text])));
  await other.subscribe("news");
  assert.strictEqual(await client.publish("news", "hello"), 1);
  assert.deepStrictEqual(await heard, ["news", "hello"]);
  const found = [];
  for await (const keys of client.scanStream({ match: "*" })) found.push(...keys);
  assert.deepStrictEqual(found.sort(), ["h", "k", "n", "stream", "z"]);
  await assert.rejects(client.lpush("h", "x"), /WRONGTYPE/);
  await Promise.all([client.quit(), other.quit()]);
}

async function noderedis() {
  const { createClient } = require("redis");
  const client = createClient({ socket: { path } }), other = createClient({ socket: { path } });
  await Promise.all([client.connect(), other.connect()]);
  assert.strictEqual(await client.set("k", "wörd", { EX: 100 }), "OK");
  assert.strictEqual(await client.get("k"), "wörd");
  assert.strictEqual(await client.hSet("h", { a: "1", b: "2" }), 2);
  assert.deepStrictEqual({ ...(await client.hGetAll("h")) }, { a: "1", b: "2" });
  assert.deepStrictEqual(await client.multi().incr("n").incr("n").get("n").exec(), [1, 2, "2"]);
  await client.zAdd("z", [{ score: 1.5, value: "ada" }, { score: 2, value: "bob" }]);
  assert.deepStrictEqual((await client.zRangeWithScores("z", 0, -1)).map((row) => ({ ...row })),
    [{ value: "ada", score: 1.5 }, { value: "bob", score: 2 }]);
  const heard = new Promise((resolve) => other.subscribe("news", (text, channel) => resolve([channel, text])).then(
    () => client.publish("news", "hello")));
  assert.deepStrictEqual(await heard, ["news", "hello"]);
  const found = [];
  for await (const keys of client.scanIterator()) found.push(...[].concat(keys));
  assert.deepStrictEqual(found.sort(), ["h", "k", "n", "z"]);
  await assert.rejects(client.lPush("h", "x"), /WRONGTYPE/);
  await Promise.all([client.close(), other.close()]);
}

({ ioredis, noderedis })[process.argv[3]]().catch((error) => {
  console.error(error);
  process.exit(1);
});

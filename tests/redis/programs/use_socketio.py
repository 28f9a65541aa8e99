"""python-socketio: two servers and a program that only sends, joined by its Redis managers."""

import asyncio
import sys

import socketio
from aiohttp import web
from same import same


async def serve():
    """A server in this process: (server, runner, port)."""
    server = socketio.AsyncServer(async_mode="aiohttp", client_manager=socketio.AsyncRedisManager(sys.argv[1]))

    @server.event
    async def join(sid, room):
        await server.enter_room(sid, room)
        return "joined"

    application = web.Application()
    server.attach(application)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return server, runner, site._server.sockets[0].getsockname()[1]


async def client(port, heard):
    """A client that puts what it hears into a queue."""
    made = socketio.AsyncClient()
    made.on("news", heard.put)
    await made.connect("http://127.0.0.1:%d" % port, transports=["websocket"])
    return made


async def main():
    """What one server sends reaches the clients of both; a program without a server sends as well."""
    servers = [await serve(), await serve()]
    queues = [asyncio.Queue(), asyncio.Queue()]
    clients = [await client(port, queue) for (_, _, port), queue in zip(servers, queues)]

    async def hear(queue):
        return await asyncio.wait_for(queue.get(), 10)

    same(await clients[0].call("join", "red", timeout=10), "joined")
    while not all(queue.qsize() for queue in queues):  # until both have subscribed
        await servers[0][0].emit("news", "hello")
        await asyncio.sleep(0.05)
    while any(queue.qsize() for queue in queues):
        for queue in queues:
            queue.qsize() and same(await hear(queue), "hello")
        await asyncio.sleep(0.05)
    await servers[1][0].emit("news", {"text": "for red"}, room="red")
    same(await hear(queues[0]), {"text": "for red"})
    outside = socketio.RedisManager(sys.argv[1], write_only=True)
    await asyncio.get_running_loop().run_in_executor(None, lambda: outside.emit("news", [1, "from outside"]))
    same([await hear(queue) for queue in queues], [[1, "from outside"]] * 2)
    same(queues[1].empty(), True)
    for made in clients:
        await made.disconnect()
    for _, runner, _ in servers:
        await runner.cleanup()


asyncio.run(main())

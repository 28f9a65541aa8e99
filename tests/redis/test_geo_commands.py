"""GEO: tables of commands with the replies of redis-server 7.0.15."""

import unittest

from tests.support.engine_context import EngineTest


class GeoTests(EngineTest):
    def test_words_that_are_missing(self):
        self.run_table((
            ("GEOADD", b"-ERR wrong number of arguments for 'geoadd' command\r\n"),
            ("GEOADD g 1 1", b"-ERR wrong number of arguments for 'geoadd' command\r\n"),
            ("GEODIST", b"-ERR wrong number of arguments for 'geodist' command\r\n"),
            ("GEODIST g a", b"-ERR wrong number of arguments for 'geodist' command\r\n"),
            ("GEOHASH", b"-ERR wrong number of arguments for 'geohash' command\r\n"),
            ("GEOPOS", b"-ERR wrong number of arguments for 'geopos' command\r\n"),
            ("GEORADIUS g 1 1 1", b"-ERR wrong number of arguments for 'georadius' command\r\n"),
            ("GEORADIUS_RO g 1 1 1", b"-ERR wrong number of arguments for 'georadius_ro' command\r\n"),
            ("GEORADIUSBYMEMBER g a 1", b"-ERR wrong number of arguments for 'georadiusbymember' command\r\n"),
            ("GEORADIUSBYMEMBER_RO g a 1", b"-ERR wrong number of arguments for 'georadiusbymember_ro' command\r\n"),
            ("GEOSEARCH g FROMMEMBER a BYRADIUS 1", b"-ERR wrong number of arguments for 'geosearch' command\r\n"),
            ("GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 1",
             b"-ERR wrong number of arguments for 'geosearchstore' command\r\n"),
        ))

    def test_keys_that_have_something_else(self):
        self.run_table((
            ("SET s v", b'+OK\r\n'),
            ("GEOADD s 1 1 a", b'-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'),
            ("GEODIST s a b", b'-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'),
            ("GEOHASH s a", b'-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'),
            ("GEOPOS s a", b'-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'),
            ("GEORADIUS s 1 1 1 km", b'-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'),
            ("GEORADIUS s x x x x", b'-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'),
            ("GEORADIUSBYMEMBER s a 1 km", b'-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'),
            ("GEOSEARCH s FROMMEMBER a BYRADIUS 1 km",
             b'-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'),
            ("GEOSEARCHSTORE d s FROMMEMBER a BYRADIUS 1 km",
             b'-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'),
            ("GEORADIUS_RO s 1 1 1 km", b'-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'),
            ("GEORADIUSBYMEMBER_RO s a 1 km",
             b'-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'),
        ))

    def test_places(self):
        self.run_table((
            ("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", b':2\r\n'),
            ("GEOADD g NX 1 1 Palermo 2 2 Nowhere", b':1\r\n'),
            ("GEOADD g XX CH 13.361389 38.2 Palermo 3 3 Other", b':1\r\n'),
            ("GEOADD g CH 13.361389 38.115556 Palermo 2 2 Nowhere", b':1\r\n'),
            ("GEOADD g NX XX 1 1 a", b'-ERR syntax error\r\n'),
            ("GEOADD g 1 1 a 2", b'-ERR syntax error\r\n'),
            ("GEOADD g FOO 1 1 a", b'-ERR syntax error\r\n'),
            ("GEOADD g x 1 a", b'-ERR value is not a valid float\r\n'),
            ("GEOADD g 1 x a", b'-ERR value is not a valid float\r\n'),
            ("GEOADD g 180.1 1 a", b'-ERR invalid longitude,latitude pair 180.100000,1.000000\r\n'),
            ("GEOADD g 1 -85.06 a", b'-ERR invalid longitude,latitude pair 1.000000,-85.060000\r\n'),
            ("GEOADD g 180 85.05112878 corner -180 -85.05112878 other", b':2\r\n'),
            ("ZRANGE g 0 -1 WITHSCORES",
             b'*10\r\n$5\r\nother\r\n$1\r\n0\r\n$7\r\nNowhere\r\n$16\r\n3378191666521995\r\n$7\r\nPalermo\r\n'
             b'$16\r\n3479099956230698\r\n$7\r\nCatania\r\n$16\r\n3479447370796909\r\n$6\r\ncorner\r\n$17\r\n'
             b'13510798882111488\r\n'),
            ("GEOPOS g Palermo nobody corner other",
             b'*4\r\n*2\r\n$20\r\n13.36138933897018433\r\n$20\r\n38.11555639549629859\r\n*-1\r\n*2\r\n$3\r\n'
             b'180\r\n$19\r\n85.0511287799999991\r\n*2\r\n$22\r\n-179.99999731779098511\r\n$21\r\n'
             b'-85.05112751263942528\r\n'),
            ("GEOPOS none a b", b'*2\r\n*-1\r\n*-1\r\n'),
            ("GEOHASH g Palermo nobody corner other Nowhere",
             b'*5\r\n$11\r\nsqc8b49rny0\r\n$-1\r\n$11\r\nbp05b5048p0\r\n$11\r\n00bh0hbj200\r\n$11\r\n'
             b's037ms06g70\r\n'),
            ("GEOHASH none a", b'*1\r\n$-1\r\n'),
            ("GEODIST g Palermo Catania", b'$11\r\n166274.1516\r\n'),
            ("GEODIST g Palermo Catania m", b'$11\r\n166274.1516\r\n'),
            ("GEODIST g Palermo Catania km", b'$8\r\n166.2742\r\n'),
            ("GEODIST g Palermo Catania MI", b'$8\r\n103.3182\r\n'),
            ("GEODIST g Palermo Catania ft", b'$11\r\n545518.8700\r\n'),
            ("GEODIST g Palermo Palermo", b'$6\r\n0.0000\r\n'),
            ("GEODIST g Palermo nobody", b'$-1\r\n'),
            ("GEODIST none a b", b'$-1\r\n'),
            ("GEODIST none a b yd", b'-ERR unsupported unit provided. please use M, KM, FT, MI\r\n'),
            ("GEODIST g Palermo Catania m m", b'-ERR syntax error\r\n'),
        ))

    def test_searching(self):
        self.run_table((
            ("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", b':2\r\n'),
            ("GEOADD g 12.75 37.1 edge1 17.24 38.7 edge2", b':2\r\n'),
            ("GEORADIUS g 15 37 200 km", b'*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n'),
            ("GEORADIUS g 15 37 200 km DESC", b'*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n'),
            ("GEORADIUS g 15 37 200 km WITHDIST WITHHASH WITHCOORD ASC",
             b'*2\r\n*4\r\n$7\r\nCatania\r\n$7\r\n56.4413\r\n:3479447370796909\r\n*2\r\n$20\r\n'
             b'15.08726745843887329\r\n$20\r\n37.50266842333162032\r\n*4\r\n$7\r\nPalermo\r\n$8\r\n190.4424\r\n'
             b':3479099956230698\r\n*2\r\n$20\r\n13.36138933897018433\r\n$20\r\n38.11555639549629859\r\n'),
            ("GEORADIUS g 15 37 200 km COUNT 1", b'*1\r\n$7\r\nCatania\r\n'),
            ("GEORADIUS g 15 37 200 km COUNT 1 ANY", b'*1\r\n$7\r\nPalermo\r\n'),
            ("GEORADIUS g 15 37 200 km COUNT 1 DESC", b'*1\r\n$7\r\nPalermo\r\n'),
            ("GEORADIUS g 15 37 200 km COUNT 0", b'-ERR COUNT must be > 0\r\n'),
            ("GEORADIUS g 15 37 200 km COUNT a", b'-ERR value is not an integer or out of range\r\n'),
            ("GEORADIUS g 15 37 200 km ANY", b'-ERR the ANY argument requires COUNT argument\r\n'),
            ("GEORADIUS g 15 37 200 km FOO", b'-ERR syntax error\r\n'),
            ("GEORADIUS g 15 37 200 yd", b'-ERR unsupported unit provided. please use M, KM, FT, MI\r\n'),
            ("GEORADIUS g 15 37 a km", b'-ERR need numeric radius\r\n'),
            ("GEORADIUS g 15 37 -1 km", b'-ERR radius cannot be negative\r\n'),
            ("GEORADIUS g 190 37 1 km", b'-ERR invalid longitude,latitude pair 190.000000,37.000000\r\n'),
            ("GEORADIUS none 15 37 1 km", b'*0\r\n'),
            ("GEORADIUS none 15 37 1 yd", b'-ERR unsupported unit provided. please use M, KM, FT, MI\r\n'),
            ("GEORADIUS g 15 37 200 km STORE d", b':2\r\n'),
            ("ZRANGE d 0 -1 WITHSCORES",
             b'*4\r\n$7\r\nPalermo\r\n$16\r\n3479099956230698\r\n$7\r\nCatania\r\n$16\r\n3479447370796909\r\n'),
            ("GEORADIUS g 15 37 200 km STOREDIST d COUNT 2", b':2\r\n'),
            ("ZRANGE d 0 -1 WITHSCORES",
             b'*4\r\n$7\r\nCatania\r\n$18\r\n56.441257870158204\r\n$7\r\nPalermo\r\n$18\r\n'
             b'190.44242984775784\r\n'),
            ("GEORADIUS g 15 37 200 km WITHDIST STORE d",
             b'-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options\r\n'),
            ("GEORADIUS none 15 37 200 km STORE d", b':0\r\n'),
            ("EXISTS d", b':0\r\n'),
            ("GEORADIUS_RO g 15 37 200 km STORE d", b'-ERR syntax error\r\n'),
            ("GEORADIUS_RO g 15 37 200 km ASC WITHDIST",
             b'*2\r\n*2\r\n$7\r\nCatania\r\n$7\r\n56.4413\r\n*2\r\n$7\r\nPalermo\r\n$8\r\n190.4424\r\n'),
        ))

    def test_searching_around_members_and_in_boxes(self):
        self.run_table((
            ("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", b':2\r\n'),
            ("GEOADD g 12.75 37.1 edge1 17.24 38.7 edge2", b':2\r\n'),
            ("GEORADIUSBYMEMBER g Palermo 170 km ASC", b'*3\r\n$7\r\nPalermo\r\n$5\r\nedge1\r\n$7\r\nCatania\r\n'),
            ("GEORADIUSBYMEMBER g nobody 170 km", b'-ERR could not decode requested zset member\r\n'),
            ("GEORADIUSBYMEMBER none nobody x yd", b'*0\r\n'),
            ("GEORADIUSBYMEMBER_RO g Palermo 170 km DESC WITHDIST",
             b'*3\r\n*2\r\n$7\r\nCatania\r\n$8\r\n166.2742\r\n*2\r\n$5\r\nedge1\r\n$8\r\n125.1445\r\n*2\r\n'
             b'$7\r\nPalermo\r\n$6\r\n0.0000\r\n'),
            ("GEOSEARCH g FROMMEMBER Palermo BYRADIUS 170 km ASC",
             b'*3\r\n$7\r\nPalermo\r\n$5\r\nedge1\r\n$7\r\nCatania\r\n'),
            ("GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD WITHDIST",
             b'*4\r\n*3\r\n$7\r\nCatania\r\n$7\r\n56.4413\r\n*2\r\n$20\r\n15.08726745843887329\r\n$20\r\n'
             b'37.50266842333162032\r\n*3\r\n$7\r\nPalermo\r\n$8\r\n190.4424\r\n*2\r\n$20\r\n'
             b'13.36138933897018433\r\n$20\r\n38.11555639549629859\r\n*3\r\n$5\r\nedge1\r\n$8\r\n200.0390\r\n'
             b'*2\r\n$20\r\n12.75000125169754028\r\n$20\r\n37.10000008523787329\r\n*3\r\n$5\r\nedge2\r\n$8\r\n'
             b'272.8485\r\n*2\r\n$20\r\n17.23999768495559692\r\n$20\r\n38.69999972681087996\r\n'),
            ("GEOSEARCH g BYBOX 400 300 km FROMLONLAT 15 37 DESC COUNT 2", b'*2\r\n$5\r\nedge1\r\n$7\r\nPalermo\r\n'),
            ("GEOSEARCH g FROMMEMBER nobody BYRADIUS 170 km", b'-ERR could not decode requested zset member\r\n'),
            ("GEOSEARCH none FROMMEMBER nobody BYRADIUS 170 km", b'*0\r\n'),
            ("GEOSEARCH g FROMMEMBER Palermo FROMLONLAT 1 1 BYRADIUS 1 km", b'-ERR syntax error\r\n'),
            ("GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1 km BYBOX 1 1 km", b'-ERR syntax error\r\n'),
            ("GEOSEARCH g BYBOX 1 1 km ASC WITHDIST WITHHASH",
             b'-ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH\r\n'),
            ("GEOSEARCH g FROMMEMBER Palermo ASC WITHDIST WITHHASH",
             b'-ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH\r\n'),
            ("GEOSEARCH g FROMMEMBER Palermo BYBOX a 1 km", b'-ERR need numeric width\r\n'),
            ("GEOSEARCH g FROMMEMBER Palermo BYBOX 1 a km", b'-ERR need numeric height\r\n'),
            ("GEOSEARCH g FROMMEMBER Palermo BYBOX 1 -1 km", b'-ERR height or width cannot be negative\r\n'),
            ("GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1 km STOREDIST", b'-ERR syntax error\r\n'),
            ("GEOSEARCHSTORE d g FROMMEMBER Palermo BYRADIUS 170 km", b':3\r\n'),
            ("ZRANGE d 0 -1 WITHSCORES",
             b'*6\r\n$5\r\nedge1\r\n$16\r\n3476059592090740\r\n$7\r\nPalermo\r\n$16\r\n3479099956230698\r\n'
             b'$7\r\nCatania\r\n$16\r\n3479447370796909\r\n'),
            ("GEOSEARCHSTORE d g FROMLONLAT 15 37 BYBOX 400 400 km STOREDIST COUNT 3", b':3\r\n'),
            ("ZRANGE d 0 -1 WITHSCORES",
             b'*6\r\n$7\r\nCatania\r\n$18\r\n56.441257870158204\r\n$7\r\nPalermo\r\n$18\r\n'
             b'190.44242984775784\r\n$5\r\nedge1\r\n$18\r\n200.03897853964583\r\n'),
            ("GEOSEARCHSTORE d g FROMMEMBER Palermo BYRADIUS 170 km WITHDIST",
             b'-ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options\r\n'),
            ("GEOSEARCHSTORE d none FROMMEMBER Palermo BYRADIUS 170 km", b':0\r\n'),
            ("EXISTS d", b':0\r\n'),
        ))

    def test_shapes_in_resp3(self):
        self.context.session.protocol = 3
        self.run_table((
            ("GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", b':2\r\n'),
            ("GEOPOS g Palermo nobody", b'*2\r\n*2\r\n,13.36138933897018433\r\n,38.11555639549629859\r\n_\r\n'),
            ("GEOHASH g Palermo nobody", b'*2\r\n$11\r\nsqc8b49rny0\r\n_\r\n'),
            ("GEODIST g Palermo Catania", b'$11\r\n166274.1516\r\n'),
            ("GEODIST g Palermo nobody", b'_\r\n'),
            ("GEORADIUS g 15 37 200 km WITHDIST WITHHASH WITHCOORD ASC",
             b'*2\r\n*4\r\n$7\r\nCatania\r\n$7\r\n56.4413\r\n:3479447370796909\r\n*2\r\n'
             b',15.08726745843887329\r\n,37.50266842333162032\r\n*4\r\n$7\r\nPalermo\r\n$8\r\n190.4424\r\n'
             b':3479099956230698\r\n*2\r\n,13.36138933897018433\r\n,38.11555639549629859\r\n'),
            ("GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1 km", b'*1\r\n$7\r\nPalermo\r\n'),
        ))


if __name__ == "__main__":
    unittest.main()

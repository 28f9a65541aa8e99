"""The tree of exceptions: codes that come back as what they went out as, and bases that Python programs expect."""

import pickle
import unittest

from nosqgrid import errors
from nosqgrid.formats.resp import ReplyReader, encode_error


def all_classes(root=errors.NosqgridError):
    found = [root]
    for cls in root.__subclasses__():
        found.extend(all_classes(cls))
    return [cls for cls in found if cls.__module__ == "nosqgrid.errors"]


class TreeTest(unittest.TestCase):
    def test_every_class_is_of_one_of_the_five_kinds_and_says_what_it_means(self):
        kinds = (errors.CallerError, errors.CoordinatorError, errors.StorageError, errors.PeerError,
                 errors.InvariantError)
        for cls in all_classes():
            self.assertTrue(cls.__doc__, cls)
            if cls is not errors.NosqgridError:
                self.assertEqual(sum(issubclass(cls, kind) for kind in kinds), 1, cls)

    def test_codes_are_single_words_in_capitals_and_unique(self):
        codes = [cls.code for cls in all_classes() if "code" in vars(cls) and cls.code != "ERR"]
        self.assertEqual(len(codes), len(set(codes)))
        for code in codes:
            self.assertTrue(code.isalpha() and code.isupper(), code)
            self.assertIn(code, errors.BY_CODE)

    def test_each_is_also_what_python_programs_expect(self):
        for cls, base in ((errors.UsageError, ValueError), (errors.UnsupportedTypeError, TypeError),
                          (errors.WrongTypeError, TypeError), (errors.GridFullError, MemoryError),
                          (errors.CoordinatorLostError, ConnectionError), (errors.NotServedError, ConnectionError),
                          (errors.CoordinatorTimeoutError, TimeoutError),
                          (errors.PermissionRefusedError, PermissionError),
                          (errors.InvariantError, AssertionError), (errors.CorruptValueError, ValueError)):
            self.assertTrue(issubclass(cls, base), cls)

    def test_a_reply_brings_back_the_class_and_the_message(self):
        for cls in all_classes():
            if cls.code == "ERR" or cls is not errors.BY_CODE[cls.code]:
                continue
            reader = ReplyReader()
            reader.feed(encode_error(cls("it said so")))
            error = reader.next()
            self.assertEqual((type(error), str(error)), (cls, "it said so"))

    def test_unknown_codes_and_odd_texts_are_command_errors(self):
        for text, message in (("ERR syntax error", "syntax error"), ("NOSUCH thing", "NOSUCH thing"), ("", ""),
                              ("ERR", ""), ("lower case", "lower case")):
            error = errors.from_resp(text)
            self.assertEqual((type(error), str(error)), (errors.CommandError, message))

    def test_line_ends_in_a_message_do_not_reach_the_wire(self):
        data = encode_error(errors.CommandError("a\r\n+OK\r\nb"))
        self.assertEqual(data.count(b"\r\n"), 1)
        self.assertTrue(data.endswith(b"\r\n"))

    def test_all_of_them_pickle(self):
        for cls in all_classes():
            error = pickle.loads(pickle.dumps(cls("message")))
            self.assertEqual((type(error), str(error)), (cls, "message"))
        error = pickle.loads(pickle.dumps(errors.BatchError("message", 3)))
        self.assertEqual((error.index, str(error)), (3, "message"))


if __name__ == "__main__":
    unittest.main()

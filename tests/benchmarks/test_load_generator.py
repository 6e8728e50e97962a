"""What stations and supervisions of a benchmark send."""

import re

from benchmarks.load_generator import frame
from benchmarks.messages import CALLS, ID_AT, ID_LENGTH, call_text


def test_message_ids_stand_where_the_generator_looks_for_them() -> None:
    message_id = "0" * ID_LENGTH
    texts = [call_text(position, message_id) for position in range(len(CALLS))]

    assert all(text[ID_AT : ID_AT + ID_LENGTH] == message_id for text in texts)
    assert all(re.match(r'\[2,"0{36}","[A-Z][A-Za-z]+",\{', text) for text in texts)


def test_frames_carry_their_length_as_rfc_6455_has_it() -> None:
    assert frame(b"ab", is_masked=False) == b"\x81\x02ab"
    assert frame(b"ab", is_masked=True) == b"\x81\x82\0\0\0\0ab"
    assert frame(b"x" * 126, is_masked=False)[:4] == b"\x81\x7e\x00\x7e"

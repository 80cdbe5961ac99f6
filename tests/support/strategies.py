"""Hypothesis strategies for text and JSON that lean towards what canonical forms get wrong."""

import struct

from hypothesis import strategies as st
from pecia_service.canonical import MAX_SAFE_INTEGER, JsonValue

TRICKY_CHARACTERS = (
    '\r\n\t"\\/{}|\x01\x1f\x7f\x80\u2028\u2029'
    "\u00e5\u030a\u0301\u0323\u0345\u0130\u0131\u03c2\u00df\u1e9e\ufb01\ufeff\u200d\ufe0f"
    "\ud7ff\ue000\uf8ff\uff5e\uffff\U00010000\U0001f600\U0001f1e9\U000e0001\U0010ffff"
)

tricky_text = st.text(st.sampled_from(TRICKY_CHARACTERS), max_size=12)
any_text = st.text(max_size=40) | tricky_text
"""Text of every plane, without lone surrogates; U+0000 is possible."""

clean_text = any_text.map(lambda text: text.replace("\x00", ""))
"""Text that normalisation accepts."""


def _double(bits: int) -> float:
    value: float = struct.unpack(">d", struct.pack(">Q", bits))[0]
    return value


# Drawn by bits, each magnitude is as likely as any other.
any_double = (
    st.integers(0, 2**64 - 1).map(_double).filter(lambda value: abs(value) < float("inf"))
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.0, -0.0, 1e-5, 9.999999999999999e-6, 1e-6, 1e-7, 1e15, 1e16, 1e20, 1e21, 1e22])
    | st.sampled_from([5e-324, 1.7976931348623157e308, 2.0**53 - 1, 2.0**53, 2.0**53 + 2, -(2.0**53)])
)
any_integer = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)

scalars: st.SearchStrategy[JsonValue] = st.none() | st.booleans() | any_integer | any_double | any_text
json_values: st.SearchStrategy[JsonValue] = st.recursive(
    scalars,
    lambda children: st.lists(children, max_size=6) | st.dictionaries(any_text, children, max_size=6),
    max_leaves=20,
)
"""Any JSON value that RFC 8785 has a form for."""

json_objects = st.dictionaries(
    st.text(alphabet="abcdefgABCDEFG_\U0001f600\ue000", max_size=6),
    st.recursive(
        st.none() | st.booleans() | any_integer | any_double | clean_text,
        lambda children: (
            st.lists(children, max_size=4)
            | st.dictionaries(st.text(alphabet="abcXYZ\U00010000\uffff", max_size=5), children, max_size=4)
        ),
        max_leaves=10,
    ),
    max_size=6,
)
"""Objects that normalisation accepts: no U+0000, and no keys that become equal."""

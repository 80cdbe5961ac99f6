"""The domain's error reasons are those of the contract."""

from pecia.v1 import error_reason_pb2
from pecia_service.errors import ErrorReason


def test_reasons_have_the_names_and_numbers_of_the_contract() -> None:
    """Every reason but UNSPECIFIED is in the domain, under the same name and number, and no other."""
    contract = {
        value.name.removeprefix("ERROR_REASON_"): value.number
        for value in error_reason_pb2.ErrorReason.DESCRIPTOR.values
    }
    assert {"UNSPECIFIED": 0, **{reason.name: reason.value for reason in ErrorReason}} == contract

"""The symbols that reflection finds: all that its protocol names, methods too."""

from __future__ import annotations

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool


class SymbolPool:
    """A descriptor pool that also says in which file a method is; tools such as ghz ask for that."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 - the name in protobuf
        """Return the file of a service, method, message, field or enum; raises KeyError for anything else."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            # Protobuf's own pool finds methods by this only, since it is no longer that of C++.
            return self._pool.FindMethodByName(symbol).containing_service.file

    def __getattr__(self, name: str) -> object:
        return getattr(self._pool, name)

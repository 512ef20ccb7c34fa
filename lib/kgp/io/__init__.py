"""The outside world: storage, file formats, tables on disk. Everything that reads or writes is in here."""

"""What can be odd about a VCF file that loads all the same: a fixed vocabulary, counted by kind in `loads`."""

from __future__ import annotations

from enum import StrEnum


class Oddity(StrEnum):
    """A kind of finding. The texts are data (`loads.warnings`): they do not change from version to version."""

    # the header
    UNKNOWN_VERSION = "VCF version unknown"
    NO_PAIR = "header line is no key=value"
    BROKEN_QUOTES = "quotes of a header line do not match"
    BROKEN_DECLARATION = "declaration malformed"
    UNQUOTED_DESCRIPTION = "Description of a declaration without quotes"
    NO_ID = "declaration without ID"
    BAD_ID = "ID of a declaration has characters that are not allowed"
    INCOMPLETE_DECLARATION = "declaration without Number, Type or Description"
    BAD_NUMBER = "Number of a declaration is no number"
    BAD_TYPE = "Type of a declaration unknown"
    RESERVED_NUMBER = "reserved key declared with another Number"
    RESERVED_TYPE = "reserved key declared with another Type"
    INFO_TWICE = "INFO key declared twice"
    FORMAT_TWICE = "FORMAT key declared twice"
    FILTER_TWICE = "FILTER declared twice"
    ALT_TWICE = "ALT declared twice"
    SAMPLE_TWICE = "SAMPLE declared twice"
    CONTIG_TWICE = "contig declared twice, with two lengths"
    ALT_NUMBER = "ALT declared with Number or Type"
    BAD_ASSEMBLY = "assembly is no URL"
    BAD_META = "Values of a META declaration without brackets"
    QUOTED_VALUE = "value of a declaration with quotes"

    # the site columns
    CONTIG_NAME = "contig name has characters that are not allowed"
    UNDECLARED_CONTIG = "contig not declared in the header"
    BAD_VCF_ID = "ID malformed"
    BAD_REF = "REF has other characters than ACGTN"
    BAD_ALT = "ALT malformed"
    UNDECLARED_ALT = "symbolic ALT not declared in the header"
    NEGATIVE_QUAL = "QUAL negative"
    BAD_FILTER = "FILTER malformed"
    UNDECLARED_FILTER = "FILTER not declared in the header"
    BAD_INFO = "INFO malformed"
    UNDECLARED_INFO = "undeclared INFO key"
    REPEATED_INFO = "INFO key repeated in a record"
    INFO_NUMBER = "INFO value has another number of entries than its key allows"
    INFO_TYPE = "INFO value is of another type than its key allows"

    # FORMAT and samples
    BAD_FORMAT = "FORMAT malformed"
    UNDECLARED_FORMAT = "undeclared FORMAT key"
    REPEATED_FORMAT = "FORMAT key repeated in a record"
    GT_NOT_FIRST = "GT not the first FORMAT key"
    FORMAT_NUMBER = "sample value has another number of entries than its key allows"
    FORMAT_TYPE = "sample value is of another type than its key allows"

    # structural variants, VCF 4.4 and newer
    BREAKEND_SYMBOL = "breakend written as a symbolic ALT"
    NO_SVCLAIM = "DEL or DUP without SVCLAIM"
    BAD_REPEAT = "fields of a tandem repeat do not agree"
    BAD_INTERVAL = "confidence interval malformed"
    PHASE_QUALITY = "PSQ without PSL"

    # several records, the file
    OUT_OF_ORDER = "row out of order"
    VARIANT_TWICE = "variant occurs twice"
    BLANK_LINE = "blank line"
    NO_LINE_END = "last line has no line end"

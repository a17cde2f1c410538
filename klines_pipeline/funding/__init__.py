"""What a correct table of funding rates is: columns, expected settlements, merge, certificate. No I/O, no clock."""

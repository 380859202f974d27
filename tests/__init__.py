"""The tests of rootward: folders mirror the packages; acceptance and chaos use real processes."""

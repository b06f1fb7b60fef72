"""The key timetable: when keys of a zone are made, published, used and removed. No I/O, no clock."""

"""The key timetable and the signature policy in simulated time."""

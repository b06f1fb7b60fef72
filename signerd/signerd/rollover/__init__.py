"""Carries the key timetable of each zone out: what a step decides is made, published and remembered."""

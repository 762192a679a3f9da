"""
Extensions: found, put into a catalogue, given their options, and contained when they misbehave.
"""

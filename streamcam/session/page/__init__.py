"""The page of a live session: what a browser shows and asks for, served to the room or to this computer."""

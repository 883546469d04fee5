"""The live session: its state, commands, outputs, HUD, window, captures and statistics."""

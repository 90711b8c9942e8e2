"""The engine in C: NovaSR and airband without Python, for other programs; `engine.h` says how."""

"""Pictures of what is held, for the web page, a file or a mail: bytes in, nothing shown, nothing kept.

Each function takes plain values and gives an encoded picture: dark on light, times in UTC, colours that
a colour-blind person can tell apart, and the same bytes for the same values. matplotlib is imported when
the first one is drawn.
"""

"""The course in Chinese: what is to be translated, the catalogues, and what they must keep."""

"""The pages: what they contain, and the parts that are generated from the code."""

"""A plan as people and programs want it: JSON, text, Markdown for a comment, a page, annotations of GitHub.

`headline` and `consequences` say what is shown, in which order and in which words, and mark nothing up; the other
modules give it a form. Whatever a person wrote (names, URLs, texts) is data to each of them, and badges' numbers are
shown only where the plan has them, because they were asked for.
"""

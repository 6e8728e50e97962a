"""Where the JSON Schemas are written: each definition once, for both files that use it.

`python -m pointsman_schema.authoring` writes the three `*.v1.schema.json`; a test fails where they are not what it
would write. Nothing else imports this package.

Besides standard keywords the schemas carry two that editors know (`errorMessage` and `patternErrorMessage`, of the
JSON language service): the compiler shows the same words.
"""

/** The one place that turns names and texts into SQL: every name and file name of a table may hold any character. */

/** A column or table name. */
export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** A text constant, such as the name of a file. */
export const quoteLiteral = (text: string): string => `'${text.replaceAll("'", "''")}'`

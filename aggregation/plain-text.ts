/**
 * What somebody else wrote, for a terminal: what it would obey, or what would turn text around, is shown by its number
 * (`\u{1b}`). Line breaks stay.
 */
export const plainText = (text: string): string =>
  text.replace(/[^\P{Cc}\n\t]|\p{Bidi_Control}/gu, (sign) => `\\u{${sign.codePointAt(0)!.toString(16)}}`);

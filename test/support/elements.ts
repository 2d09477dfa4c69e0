/** What a page or a picture is made of; the text is its own, not that of elements inside it. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  text: string;
}

/**
 * Reads XML as XML 1.0 (§2.1, §2.2, §3.1) demands it, without comments and CDATA: one root, after HTML's doctype or none, tags
 * that nest, attributes quoted and once each, no bare `<` or `&`, no character that XML has not.
 *
 * @throws Error on the first thing that is not well-formed
 */
export function elementsOf(xml: string): Element[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that must not be there
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(xml) || !xml.isWellFormed())
    throw new Error('no XML character');
  const body = xml.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n|^<!DOCTYPE html>\n/, '');
  const [found, open]: [Element[], Element[]] = [[], []];
  const markup =
    /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z:-]+="(?:[^"<&]|&(?:amp|lt|gt|quot|apos|#\d+);)*")*)\s*(\/?)>|([^<]+)|(<)/g;
  for (const [, closes, name, attributes, empty, text, stray] of body.matchAll(markup)) {
    if (stray !== undefined) throw new Error('a stray <');
    if (text !== undefined) {
      if (/&(?!(amp|lt|gt|quot|apos|#\d+);)/.test(text) || text.includes(']]>')) throw new Error(`bare & in ${text}`);
      if (open.length === 0 && text.trim() !== '') throw new Error(`text outside of the root: ${text}`);
      if (open.length > 0) open.at(-1)!.text += text;
    } else if (closes === '/') {
      if (open.pop()?.name !== name) throw new Error(`</${name}> closes nothing`);
    } else {
      if (open.length === 0 && found.length > 0) throw new Error('a second root');
      const pairs = [...attributes!.matchAll(/([a-zA-Z:-]+)="([^"]*)"/g)].map(
        ([, key, value]) => [key!, value!] as const,
      );
      if (new Set(pairs.map(([key]) => key)).size < pairs.length) throw new Error(`<${name}> says something twice`);
      const element = { name: name!, attributes: Object.fromEntries(pairs), text: '' };
      found.push(element);
      if (empty !== '/') open.push(element);
    }
  }
  if (open.length > 0) throw new Error(`<${open.at(-1)!.name}> is not closed`);
  return found;
}

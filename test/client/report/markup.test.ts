import fc from 'fast-check';
import { expect, test } from 'vitest';
import { html, Markup } from '../../../client/report/markup.ts';
import { elementsOf } from '../../support/elements.ts';

test('markup inside markup stays markup, everything else is text', () => {
  const cells = ['a', 2, html`<b>${'<'}</b>`];
  expect(html`<p title="${'"'}">${cells}</p>`.text).toBe('<p title="&quot;">a2<b>&lt;</b></p>');
});

const hostile = fc.oneof(
  fc.constantFrom(...'<>"\'&;/=! -]#\u0000\ud800\n'),
  fc.string({ unit: 'binary', maxLength: 1 }),
);

test('no text breaks out of an element or of an attribute, whatever it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: hostile, maxLength: 40 }), (text) => {
      const page = html`<p class="${text}">${text}</p>`.text;
      const [element, ...others] = elementsOf(page);
      expect(others).toEqual([]);
      expect(Object.keys(element!.attributes)).toEqual(['class']);
      expect(element!.attributes['class']).toBe(element!.text);
    }),
  );
});

test.each(['</p><script>alert(1)</script>', '" onload="x', "' onload='x", '&lt;', '<!--', ']]>', '\u0000', '\ud800'])(
  '%j is harmless',
  (text) => {
    const found = elementsOf(html`<p class="${text}">${text}</p>`.text);
    expect(found).toHaveLength(1);
    expect(found[0]!.text).not.toMatch(/[<>"']/);
  },
);

test('what is trusted is not touched', () => {
  expect(html`${new Markup('<hr/>')}`.text).toBe('<hr/>');
});

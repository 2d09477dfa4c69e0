/** One line of CSV, its line break included: RFC 4180 §2, a cell that holds a comma, a quote or a line break is quoted. */
export function csvLine(cells: readonly (string | null)[]): string {
  return `${cells.map(quoted).join(',')}\n`;
}

const quoted = (cell: string | null): string =>
  cell === null ? '' : /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;

/** A time as a file's name: 20261122T073000Z. @param at - Unix ms */
export const timeName = (at: number): string => new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '');

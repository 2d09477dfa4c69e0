/** A time as a part of a file's name: 20261122T073000000Z. @param at - Unix ms */
export const timeName = (at: number): string => new Date(at).toISOString().replaceAll(/[-:.]/g, '');

/** What the option “Max File Size (MB)” counts in. */
export const BYTES_PER_MB = 1_000_000;

/** The megabyte of the option “Max File Size (MB)”. */
export const BYTES_PER_MB = 1_000_000;

/** The version of this package, which package.json says too (a test compares them). */
export const VERSION = '0.1.0';

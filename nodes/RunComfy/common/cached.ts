/** The value that a cache holds under a key; where it holds none, a new one, which it keeps. */
export function cached<K, V>(
	cache: { get(key: K): V | undefined; set(key: K, value: V): unknown },
	key: K,
	create: () => V,
): V {
	const known = cache.get(key);
	if (known !== undefined) return known;
	const value = create();
	cache.set(key, value);
	return value;
}

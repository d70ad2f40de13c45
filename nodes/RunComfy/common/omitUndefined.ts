/** `T`, where every key that may be undefined is optional instead. */
type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
	[K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** A copy without the keys whose value is undefined. */
export function omitUndefined<T extends object>(object: T): Defined<T> {
	const copy: object & Partial<T> = {};
	for (const name in object) {
		if (object[name] !== undefined) copy[name] = object[name];
	}
	return copy as object as Defined<T>;
}

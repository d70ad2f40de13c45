const POLL_MS = 10;

/**
 * Waits until a condition holds. The default timeout is shorter than Jest's own, so that a failure names the condition.
 * @throws when it does not hold in time.
 */
export async function until(
	condition: string,
	holds: () => boolean | Promise<boolean>,
	timeoutMs = 15_000,
): Promise<void> {
	const end = Date.now() + timeoutMs;
	while (!(await holds())) {
		if (Date.now() > end) throw new Error(`Timed out after ${timeoutMs} ms waiting until ${condition}`);
		await new Promise((resolve) => setTimeout(resolve, POLL_MS));
	}
}

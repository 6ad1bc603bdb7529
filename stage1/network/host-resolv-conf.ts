import { readTextIfExists } from "../../lib/files.ts";

/** Where the host's resolver has its servers; the second knows the real ones behind systemd-resolved's address. */
const FILES = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
const NAME_SERVER = /^\s*nameserver\s/;
const LOOPBACK_SERVER = /^\s*nameserver\s+(?:127\.|::1(?:\s|$))/;

/**
 * The resolv.conf that a container gets from docker: the host's. In a network namespace of its own without the servers
 * at loopback addresses, which are not the host's there. Undefined when the host has none.
 */
export function hostResolvConf(
	ownNetwork: boolean,
	read: (file: string) => string | undefined = readTextIfExists,
): string | undefined {
	const [first, ...others] = FILES.flatMap((file) => read(file) ?? []);
	if (first === undefined || !ownNetwork) return first;
	return [first, ...others].map(withoutLoopback).find(hasServer) ?? withoutLoopback(first);
}

function withoutLoopback(text: string): string {
	return text
		.split("\n")
		.filter((line) => !LOOPBACK_SERVER.test(line))
		.join("\n");
}

function hasServer(text: string): boolean {
	return text.split("\n").some((line) => NAME_SERVER.test(line));
}

import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { runCommand } from "../../../lib/process.ts";
import { COMMANDS } from "../../../stage0/cli/command-table.ts";
import { bashCompletion } from "../../../stage0/cli/completion/bash.ts";
import { fishCompletion } from "../../../stage0/cli/completion/fish.ts";
import { SHELLS } from "../../../stage0/cli/completion/words.ts";
import { zshCompletion } from "../../../stage0/cli/completion/zsh.ts";

/** A stand-in for rkt with two pods and two images. */
const FAKE_RKT = `#!/bin/sh
case "$1 $2" in
	"list --full") printf '11111111-aaaa\\tweb\\trunning\\n22222222-bbbb\\tdb\\texited\\n' ;;
	"image list") printf 'example.com/web\\nexample.com/db\\n' ;;
esac
`;

const directory = fs.realpathSync(
	t.testdir({
		bin: { rkt: FAKE_RKT },
		work: { "image.aci": "", "key.gpg": "" },
		bash: bashCompletion(),
		fish: fishCompletion(),
		zsh: zshCompletion(),
	}),
);
fs.chmodSync(path.join(directory, "bin/rkt"), 0o755);
const environment = {
	PATH: `${directory}/bin:${process.env.PATH}`,
	HOME: directory,
	TERM: "dumb",
	LANG: "C.UTF-8",
};

/** Programs that print `== LINE` and then the words that a shell offers behind it. */
const DRIVERS: Readonly<Record<(typeof SHELLS)[number], readonly string[]>> = {
	bash: [
		"bash",
		"-c",
		`source "$0"
for line; do
	echo "== $line"
	read -ra COMP_WORDS <<<"\${line//=/ = }"
	[[ $line != *[' =']  ]] || COMP_WORDS+=("")
	COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)) COMPREPLY=()
	__rkt
	printf '%s\\n' "\${COMPREPLY[@]}"
done`,
		path.join(directory, "bash"),
	],
	fish: [
		"fish",
		"--no-config",
		"-c",
		`source $argv[1]
for line in $argv[2..-1]
	echo "== $line"
	complete -C "$line"
end`,
		path.join(directory, "fish"),
	],
	zsh: ["zsh", "-f", path.resolve("test/support/complete.zsh"), path.join(directory, "zsh")],
};

/** What each line must offer, and what it must not. */
const CASES: readonly (readonly [line: string, offered: readonly string[], not: readonly string[]])[] = [
	["rkt ", ["run", "list", "image", "completion"], ["rm-everything", "image.aci"]],
	["rkt image ", ["list", "gc", "rm"], ["run", "stop"]],
	["rkt stop ", ["11111111-aaaa", "22222222-bbbb"], ["example.com/web", "image.aci"]],
	["rkt run ", ["example.com/web", "example.com/db", "image.aci"], ["11111111-aaaa"]],
	["rkt --debug image rm ", ["example.com/web"], ["11111111-aaaa"]],
	["rkt run --pull-policy=", ["never", "new", "update"], ["image.aci"]],
	[
		"rkt run --",
		["--net", "--volume", "--memory", "--debug", "--stage1-image"],
		["--store-only", "--grace-period", "--stdin"],
	],
	["rkt gc --", ["--grace-period", "--mark-only", "--dir"], ["--net", "--insecure-skip-verify"]],
	["rkt completion ", SHELLS, ["image.aci"]],
	["rkt trust ", ["key.gpg"], ["11111111-aaaa"]],
	["rkt help ", ["run", "image"], ["image.aci"]],
];

for (const shell of SHELLS) {
	const installed = runCommand("sh", ["-c", `command -v ${shell}`]).status === 0;
	const options = installed ? {} : { skip: `${shell} is not installed` };
	t.test(`${shell} completes commands, flags, their words, pods, images and files`, options, (t) => {
		const [program, ...args] = DRIVERS[shell] as [string, ...string[]];
		const lines = CASES.map(([line]) => line);
		const result = runCommand(program, [...args, ...lines], {
			environment,
			cwd: path.join(directory, "work"),
			timeoutMs: 20_000,
		});
		t.equal(result.stderr, "");
		const answers = result.stdout.split(/^== /m).slice(1);
		t.same(
			answers.map((answer) => answer.split("\n")[0]),
			lines,
		);
		for (const [index, [line, offered, not]] of CASES.entries()) {
			const words = offeredWords(answers[index] ?? "");
			t.same(
				offered.filter((word) => !words.has(word)),
				[],
				`offered behind "${line}"`,
			);
			t.same(
				not.filter((word) => words.has(word)),
				[],
				`not offered behind "${line}"`,
			);
		}
		t.end();
	});
}

/** The words without descriptions, and without what a shell puts in front of or behind a flag. */
function offeredWords(answer: string): Set<string> {
	const lines = answer.split("\n").slice(1);
	return new Set(lines.map((line) => line.replace(/\t.*/, "").replace(/^--[a-z-]+=(?=.)|=?-?$/g, "")));
}

t.test("every visible command and flag is in every script", (t) => {
	for (const shell of SHELLS) {
		const text = fs.readFileSync(path.join(directory, shell), "utf8");
		for (const command of COMMANDS.filter((one) => !one.hidden)) {
			t.match(text, command.name.split(" ").at(-1), `${shell}: ${command.name}`);
			const visible = command.options.filter((spec) => !spec.hidden && !spec.deprecated);
			const missing = visible.filter((spec) => !text.includes(spec.name));
			t.same(missing, [], `${shell}: flags of ${command.name}`);
		}
	}
	t.end();
});

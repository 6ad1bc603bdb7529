import t from "tap";
import { testDisks } from "../stage1/conformance/nspawn-disks.ts";
import { onSystemdHost } from "../support/on-systemd-host.ts";

/* With version 2 of cgroups alone devices are restricted by programs; on this host all pods are in one service. */
if (onSystemdHost(t, ["unified"], 90) !== undefined) testDisks(t);

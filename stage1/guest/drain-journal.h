#ifndef RKT_DRAIN_JOURNAL_H
#define RKT_DRAIN_JOURNAL_H

/*
 * Returns when journald has taken and stored what was sent to it until now. At the end of a pod, systemd-shutdown kills
 * it after ten seconds, and what a fast app has left in its sockets takes longer on a slow machine. Nobody waits for a
 * journald that does not answer longer than `seconds`.
 */
void drain_journal(int seconds);

#endif

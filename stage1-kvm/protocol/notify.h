#ifndef RKT_NOTIFY_H
#define RKT_NOTIFY_H

/*
 * sd_notify(3): tells whoever supervises us. Nobody there, or not any more, is no error. Looks up who that is, which must
 * be done while the root is that of the caller.
 */
void notify_open(void);
void notify(const char *state);

#endif

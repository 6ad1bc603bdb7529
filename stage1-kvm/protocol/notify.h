#ifndef RKT_NOTIFY_H
#define RKT_NOTIFY_H

/* sd_notify(3): tells whoever supervises us. Nobody there, or not any more, is no error. */
void notify(const char *state);

#endif

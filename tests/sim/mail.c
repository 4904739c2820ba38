#include "mail.h"
#include <stdlib.h>

void mail_post(struct mail *mail, const struct letter *letter)
{
	if (mail->first > 0 && mail->first == mail->count)
		mail->first = mail->count = 0;
	if (mail->count == mail->size) {
		mail->size = mail->size ? mail->size * 2 : 16;
		mail->letters = reallocarray(mail->letters, mail->size, sizeof(*mail->letters));
		if (!mail->letters)
			abort();
	}
	mail->letters[mail->count++] = *letter;
}

bool mail_take(struct mail *mail, struct letter *ret_letter)
{
	if (mail->first == mail->count)
		return false;
	*ret_letter = mail->letters[mail->first++];
	return true;
}

void mail_clear(struct mail *mail)
{
	mail->first = mail->count = 0;
}

void mail_done(struct mail *mail)
{
	free(mail->letters);
}

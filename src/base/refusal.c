#include "refusal.h"
#include "text.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void refusal_fill(struct refusal *r, int status, const char *code, const char *field,
		  const char *format, ...)
{
	char message[sizeof(r->message)];
	va_list values;

	va_start(values, format);
	if (vsnprintf(message, sizeof(message), format, values) < 0)
		message[0] = '\0';
	va_end(values);
	r->status = status;
	r->retry_after_ms = 0;
	snprintf(r->code, sizeof(r->code), "%s", code);
	text_escape(field, strlen(field), r->field, sizeof(r->field));
	text_escape(message, strlen(message), r->message, sizeof(r->message));
}

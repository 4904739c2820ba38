#include "tap_main.h"
#include "text.h"
#include "webhook_sign.h"
#include <errno.h>
#include <string.h>

static struct webhook_keys keys_of(const char *text)
{
	struct webhook_keys keys;

	assert_int_equal(webhook_keys_read(span_of(text), &keys), 0);
	return keys;
}

/* The example of the specification's reference libraries. */
static void the_known_signature_comes_out(void **state)
{
	const struct webhook_keys keys = keys_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
	char signature[WEBHOOK_SIGNATURE_SIZE];

	(void)state;
	webhook_sign(&keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
		     SPAN("{\"test\": 2432232314}"), signature);
	assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void each_key_signs_while_they_are_being_changed(void **state)
{
	const struct webhook_keys keys = keys_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"
						 "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	const struct webhook_keys second = keys_of("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	char both[WEBHOOK_SIGNATURE_SIZE], one[WEBHOOK_SIGNATURE_SIZE];

	(void)state;
	assert_int_equal(keys.count, 2);
	webhook_sign(&keys, "a", 1, SPAN("{}"), both);
	webhook_sign(&second, "a", 1, SPAN("{}"), one);
	assert_non_null(strchr(both, ' '));
	assert_string_equal(strchr(both, ' ') + 1, one);
	assert_memory_equal(both, "v1,", 3);
}

static void what_is_no_secret_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"\n",
		"whsec_",
		"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa",   /* 22 bytes and a half */
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLQ==", /* 22 */
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa*w",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw ",
		" whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n\n",
		"whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	};
	struct webhook_keys keys = { .count = 77 };
	char longest[200] = "whsec_", many[400] = "";
	uint8_t bytes[66] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(webhook_keys_read(span_of(wrong[i]), &keys), -EINVAL);
	base64_encode(bytes, 64, longest + 6);
	assert_int_equal(webhook_keys_read(span_of(longest), &keys), 0);
	base64_encode(bytes, 65, longest + 6);
	assert_int_equal(webhook_keys_read(span_of(longest), &keys), -EINVAL);
	base64_encode(bytes, 66, longest + 6);
	assert_int_equal(webhook_keys_read(span_of(longest), &keys), -EINVAL);
	for (int i = 0; i < 5; i++)
		strcat(many, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
	assert_int_equal(webhook_keys_read(span_of(many), &keys), -EINVAL);
	assert_int_equal(keys.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_known_signature_comes_out),
		cmocka_unit_test(each_key_signs_while_they_are_being_changed),
		cmocka_unit_test(what_is_no_secret_is_refused),
	};

	return TAP_RUN(tests);
}

/* Drops every frame that a device sends: a cable that carries light and nothing else. */
__attribute__((section("silence"), used)) int drop_frame(void *frame)
{
	return 2; /* TC_ACT_SHOT */
}
char gpl[] __attribute__((section("license"), used)) = "GPL";

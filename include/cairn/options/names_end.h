/* Clears the names of values. Included many times: no guard. */
#undef CRN_NAME_VALUE
#undef CRN_NAME_INITIAL
#undef CRN_NAME_END
#undef CRN_NAME_VALUES
#undef CRN_NAME_BASE
#undef CRN_NAME_MAX

# sql_queries(NAME) - embeds sql/queries/*.sql and sql/migrations/*.sql in ${GEN_DIR}/sql/.
#
# sql/queries/job_get.sql becomes `extern const struct query q_job_get;` in sql/queries.h; the
# migrations become one array in order of their numbers.
function(sql_queries out)
  file(GLOB queries CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sql/queries/*.sql)
  file(GLOB migrations CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sql/migrations/*.sql)
  add_custom_command(
    OUTPUT ${GEN_DIR}/sql/queries.c ${GEN_DIR}/sql/queries.h
    COMMAND sh ${CMAKE_SOURCE_DIR}/cmake/embed-sql.sh ${CMAKE_SOURCE_DIR}/sql ${GEN_DIR}/sql
    DEPENDS ${queries} ${migrations} ${CMAKE_SOURCE_DIR}/cmake/embed-sql.sh
    VERBATIM)
  set(${out} ${GEN_DIR}/sql/queries.c PARENT_SCOPE)
endfunction()

-- Reads the number of pages of the file, and whether single pages can be read and written.
select
    (select page_count from pragma_page_count) as pages,
    exists (select 1 from pragma_module_list where name = 'sqlite_dbpage') as has_single_pages

"""Notes in the admin."""

from django.contrib import admin

from apps.notes.models import Note


@admin.register(Note)
class NoteAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Lists notes with their owners."""

    autocomplete_fields = ("owner",)
    list_display = ("title", "owner", "words", "updated_at")
    list_select_related = ("owner",)
    readonly_fields = ("words", "created_at", "updated_at")
    search_fields = ("title", "text")

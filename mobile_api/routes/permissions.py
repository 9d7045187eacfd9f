from fastapi import APIRouter

router = APIRouter(prefix="/api/v1")
of_a_child = APIRouter(prefix="/api/v1/children/{child_id}")

import requests
import time

# Upload document
response = requests.post(
    "http://localhost:8080/api/v1/documents/upload",
    files={"file": open("document.pdf", "rb")}
)
job_id = response.json()["job_id"]

# Track progress
while True:
    progress = requests.get(f"http://localhost:8080/api/v1/jobs/{job_id}/progress")
    data = progress.json()
    
    print(f"Progress: {data['progress']:.1f}% - {data['message']}")
    
    if data["progress"] >= 100:
        break
    
    time.sleep(2)

# Get final result
result = requests.get(f"http://localhost:8080/api/v1/jobs/{job_id}/result")
print("Processing complete:", result.json())

import requests

# Start directory processing
response = requests.post(
    "http://localhost:8080/api/v1/documents/ingest-directory",
    json={"directory_path": "/app/data/uploads"}
)
job_id = response.json()["job_id"]

# Monitor batch progress
def monitor_batch_job(job_id):
    while True:
        status = requests.get(f"http://localhost:8080/api/v1/jobs/{job_id}")
        job_data = status.json()
        
        print(f"Status: {job_data['status']} - Progress: {job_data['progress']:.1f}%")
        
        if job_data["status"] in ["completed", "failed", "cancelled"]:
            break
        
        time.sleep(5)
    
    # Get final results
    if job_data["status"] == "completed":
        result = requests.get(f"http://localhost:8080/api/v1/jobs/{job_id}/result")
        batch_result = result.json()["result"]
        print(f"Processed {batch_result['successful']}/{batch_result['total_files']} files")

monitor_batch_job(job_id)
